use tenure::Group;

#[derive(Group)]
enum Service {
    Db(tenure::tokio::Group),
}

#[derive(Group)]
union Either {
    one: u8,
    other: i8,
}

fn main() {}
