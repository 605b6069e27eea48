use tenure::Group;

#[derive(Group)]
struct Service {
    db: tenure::tokio::Group,
    #[group(name = "db")]
    copy: tenure::tokio::Group,
}

fn main() {}
