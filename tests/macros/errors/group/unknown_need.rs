use tenure::Group;

#[derive(Group)]
struct Service {
    database: tenure::tokio::Group,
    cache: tenure::tokio::Group,
    #[group(after(databse))]
    api: tenure::tokio::Group,
    #[group(after(cache, queue))]
    web: tenure::tokio::Group,
}

fn main() {}
