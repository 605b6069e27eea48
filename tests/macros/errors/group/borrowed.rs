use tenure::Group;

#[derive(Group)]
struct Service<'a> {
    db: &'a tenure::tokio::Group,
}

fn main() {}
