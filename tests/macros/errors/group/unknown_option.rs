use tenure::Group;

#[derive(Group)]
struct Service {
    #[group(required)]
    db: tenure::tokio::Group,
}

fn main() {}
