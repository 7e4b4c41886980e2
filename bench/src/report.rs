//! Show measurements as one table, or as JSON.

use std::io::{self, Write};

use serde_json::{Value, json};

/// One measurement.
#[derive(Clone, Debug)]
pub struct Row {
    /// What was measured.
    pub what: String,
    /// The bar, if there is one.
    pub bar: String,
    /// The value, with its unit.
    pub value: String,
    /// Whether the bar holds; nothing where there is no bar.
    pub pass: Option<bool>,
}

/// Measurements under headings.
#[derive(Clone, Debug, Default)]
pub struct Report(Vec<(&'static str, Vec<Row>)>);

impl Report {
    /// Starts a group.
    pub fn group(&mut self, title: &'static str) {
        self.0.push((title, Vec::new()));
    }

    /// Adds a measurement that must be at most `bar`.
    pub fn at_most(&mut self, what: &str, value: f64, bar: f64, unit: &str) {
        let shown = |n: f64| if n.fract() == 0.0 { format!("{n:.0}") } else { format!("{n:.2}") };
        self.add(Row {
            what: what.to_owned(),
            bar: format!("<= {} {unit}", shown(bar)),
            value: format!("{} {unit}", shown(value)),
            pass: Some(value <= bar),
        });
    }

    /// Adds a measurement without a bar.
    pub fn value(&mut self, what: &str, value: String) {
        self.add(Row { what: what.to_owned(), bar: String::new(), value, pass: None });
    }

    /// Adds a row.
    pub fn add(&mut self, row: Row) {
        if let Some((_, rows)) = self.0.last_mut() {
            rows.push(row);
        }
    }

    /// Whether every bar holds.
    pub fn passes(&self) -> bool {
        self.0.iter().flat_map(|(_, rows)| rows).all(|row| row.pass != Some(false))
    }

    /// Writes the table.
    ///
    /// # Errors
    /// What the writer reports.
    pub fn table(&self, out: &mut dyn Write) -> io::Result<()> {
        let rows = || self.0.iter().flat_map(|(_, rows)| rows);
        let width = |of: fn(&Row) -> usize| rows().map(of).max().unwrap_or(0);
        let what = width(|row| row.what.chars().count());
        let value = width(|row| row.value.chars().count());
        let bar = width(|row| row.bar.chars().count());
        for (title, rows) in &self.0 {
            writeln!(out, "\n{title}")?;
            for row in rows {
                let mark = match row.pass {
                    Some(true) => "pass",
                    Some(false) => "FAIL",
                    None => "",
                };
                let (w, v, b) = (&row.what, &row.value, &row.bar);
                let line = format!("  {w:<what$}  {v:>value$}  {b:>bar$}  {mark}");
                writeln!(out, "{}", line.trim_end())?;
            }
        }
        Ok(())
    }

    /// The same as JSON: a list of groups.
    pub fn json(&self) -> Value {
        let row = |row: &Row| json!({ "what": row.what, "value": row.value, "bar": row.bar, "pass": row.pass });
        let group = |(title, rows): &(&str, Vec<Row>)| json!({ "group": title, "rows": rows.iter().map(row).collect::<Vec<_>>() });
        self.0.iter().map(group).collect()
    }
}
