use tenure::Group;

#[derive(Group)]
struct Service {
    db: tenure::tokio::Group,
    settings: String,
}

fn main() {}
