use tenure::Group;

#[derive(Group)]
struct Service {
    db: tenure::tokio::Group,
    #[group(after = "db")]
    api: tenure::tokio::Group,
    #[group(after("db"))]
    web: tenure::tokio::Group,
}

fn main() {}
