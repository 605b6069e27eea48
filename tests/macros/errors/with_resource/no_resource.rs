use tenure::{BoxError, Resource};

struct Db;

impl Resource for Db {
    type Value = String;
    type Error = BoxError;

    async fn open(&self) -> Result<String, BoxError> {
        Ok(String::new())
    }
}

#[tenure::tokio::with_resource]
async fn bare(db: &mut String) -> Result<usize, BoxError> {
    Ok(db.len())
}

#[tenure::tokio::with_resource(name = "db")]
async fn named(db: &mut String) -> Result<usize, BoxError> {
    Ok(db.len())
}

fn main() {}
