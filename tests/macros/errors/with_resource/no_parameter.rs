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
async fn count() -> Result<usize, BoxError> {
    Ok(0)
}

struct Counter;

impl Counter {
    #[tenure::tokio::with_resource(Db)]
    async fn count(&self) -> Result<usize, BoxError> {
        Ok(0)
    }
}

fn main() {}
