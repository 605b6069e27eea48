//! The table as a picture, for documentation.

use core::fmt;

use super::TABLE;

/// Shows [`TABLE`] as a Mermaid state diagram, which many documentation hosts draw.
///
/// The picture in the project's `ARCHITECTURE.md` is this text, and a test compares the two.
///
/// ```
/// let picture = tenure_core::state::Picture.to_string();
/// assert!(picture.contains("Ready --> Degraded: HealthLost"));
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Picture;

impl fmt::Display for Picture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "stateDiagram-v2")?;
        writeln!(f, "    [*] --> Uninitialized")?;
        for row in &TABLE {
            writeln!(f, "    {} --> {}: {:?}", row.from, row.to, row.trigger)?;
        }
        writeln!(f, "    Closed --> [*]")
    }
}
