use tenure::Group;

#[derive(Group)]
struct Service {
    #[group(after(db))]
    api: tenure::tokio::Group,
}

fn main() {}
