use tenure::Group;

#[derive(Group)]
struct Service {
    #[group(optional, optional)]
    db: tenure::tokio::Group,
    #[group(stop_timeout = STOP, stop_timeout = STOP)]
    api: tenure::tokio::Group,
}

fn main() {}
