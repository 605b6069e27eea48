use tenure::Group;

#[derive(Group)]
#[group(title = "service")]
struct Service {
    db: tenure::tokio::Group,
}

fn main() {}
