use tenure::{BoxError, Resource};

struct Db;

impl Resource for Db {
    type Value = String;
    type Error = BoxError;

    async fn open(&self) -> Result<String, BoxError> {
        Ok(String::new())
    }
}

#[tenure::tokio::with_resource(Db)]
async fn letters(db: &mut String) -> Result<impl Iterator<Item = char>, BoxError> {
    Ok(db.chars().collect::<Vec<_>>().into_iter())
}

fn main() {}
