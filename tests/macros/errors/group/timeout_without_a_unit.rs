use tenure::Group;

#[derive(Group)]
struct Service {
    #[group(start_timeout = 5)]
    db: tenure::tokio::Group,
}

fn main() {}
