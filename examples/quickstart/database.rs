//! What the story asks of a database, beside being a resource.

use std::future::Future;

use tenure::Resource;

/// A database: a resource whose values are connections.
pub(crate) trait Database: Resource {
    const NAME: &'static str;

    /// Where its rows are to be, for a person to read.
    fn place(&self) -> String;

    /// Makes that place. Until then, opening a connection fails.
    fn make_place(&self) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Removes it, and the rows with it.
    fn remove_place(&self) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Runs one statement, whose `$1`, `$2` .. stand for `values` in this order, and answers with the
    /// first column of its rows.
    fn execute(
        &self,
        connection: &mut Self::Value,
        sql: &str,
        values: &[&str],
    ) -> impl Future<Output = Result<Vec<String>, Self::Error>> + Send;

    /// Breaks the connection on purpose, and says how.
    fn sabotage(
        &self,
        connection: &mut Self::Value,
    ) -> impl Future<Output = Result<String, Self::Error>> + Send;
}
