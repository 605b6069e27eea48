use tenure::Group;

#[derive(Group)]
#[group(optional)]
struct Service {
    db: tenure::tokio::Group,
}

fn main() {}
