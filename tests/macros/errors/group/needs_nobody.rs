use tenure::Group;

#[derive(Group)]
struct Service {
    #[group(after())]
    api: tenure::tokio::Group,
}

fn main() {}
