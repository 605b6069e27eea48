use tenure::Group;

#[derive(Group)]
struct Tuple(tenure::tokio::Group);

#[derive(Group)]
struct Unit;

fn main() {}
