use tenure::Group;

#[derive(Group)]
struct Service {
    db: tenure::tokio::Group,
    #[group(skip, optional)]
    settings: String,
}

fn main() {}
