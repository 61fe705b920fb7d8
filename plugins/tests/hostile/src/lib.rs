//! filled below
use forebay_plugin::{Batch, Error, Output, Plan, TableSchema, Transform};
struct Hostile;
impl Transform for Hostile {
    type Config = String;
    fn open(_: &TableSchema, _: String) -> Result<Self, Error> {
        Ok(Hostile)
    }
    fn plan(&self) -> Plan {
        Plan::default()
    }
    fn apply(&self, _: Batch) -> Result<Output, Error> {
        Ok(Output::default())
    }
}
forebay_plugin::export!(Hostile);
