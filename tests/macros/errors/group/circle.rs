use tenure::Group;

#[derive(Group)]
struct Service {
    root: tenure::tokio::Group,
    #[group(after(root, web))]
    db: tenure::tokio::Group,
    #[group(after(db))]
    api: tenure::tokio::Group,
    #[group(after(api))]
    web: tenure::tokio::Group,
}

fn main() {}
