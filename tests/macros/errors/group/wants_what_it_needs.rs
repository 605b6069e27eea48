use tenure::Group;

#[derive(Group)]
struct Service {
    db: tenure::tokio::Group,
    #[group(after(db), wants(db))]
    api: tenure::tokio::Group,
}

fn main() {}
