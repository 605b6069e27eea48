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
async fn count(db: &mut Vec<u8>) -> Result<usize, BoxError> {
    Ok(db.len())
}

fn main() {}
