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
async fn clear(db: &mut String) {
    db.clear();
}

fn main() {}
