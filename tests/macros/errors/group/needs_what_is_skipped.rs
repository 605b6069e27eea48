use tenure::Group;

#[derive(Group)]
struct Service {
    #[group(skip)]
    settings: String,
    #[group(after(settings))]
    api: tenure::tokio::Group,
}

fn main() {}
