use tenure::Group;

#[derive(Group)]
struct Nothing {}

#[derive(Group)]
struct Skipped {
    #[group(skip)]
    settings: String,
}

fn main() {}
