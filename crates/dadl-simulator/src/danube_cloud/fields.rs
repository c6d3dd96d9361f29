//! What the fields of a form may have, with the words in which the product refuses it.

use serde_json::{Map, Value, json};

use super::data::RequestData;

/// The refusals so far, by field.
#[derive(Debug, Default)]
pub(super) struct FieldFaults(pub(super) Map<String, Value>);

impl FieldFaults {
    /// Notes what is wrong with a field; the first counts.
    pub(super) fn add(&mut self, field: &str, text: impl Into<String>) {
        let text = text.into();
        self.0.entry(field).or_insert_with(|| json!([text]));
    }

    /// Notes that there is nothing where something has to be.
    pub(super) fn missing(&mut self, field: &str) {
        self.add(field, "This field is required.");
    }

    /// Checks a name.
    pub(super) fn name(&mut self, field: &str, name: &str, longest: usize) {
        let length = name.chars().count();
        let is_fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if length > longest {
            self.add(field, too_long(length, longest));
        } else if !name.starts_with(|c: char| c.is_ascii_alphanumeric())
            || !name.chars().all(is_fine)
        {
            self.add(field, INVALID);
        }
    }

    /// Reads a text for people; `Some("")` when it is null.
    pub(super) fn text(&mut self, field: &str, data: &RequestData) -> Option<String> {
        let text = match data.get(field)? {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let length = text.chars().count();
        if length > LONGEST_TEXT {
            self.add(field, too_long(length, LONGEST_TEXT));
        } else if text.contains(['<', '>', '%', '$', '&', ';', '\'', '"']) {
            self.add(field, INVALID);
        } else {
            return Some(text);
        }
        None
    }

    /// Reads a whole number between two others; null and an empty text are not there.
    pub(super) fn number(
        &mut self,
        field: &str,
        data: &RequestData,
        least: u64,
        most: u64,
    ) -> Option<u64> {
        let number = self.whole(field, data)?;
        if number < i128::from(least) {
            self.add(field, format!("Ensure this value is greater than or equal to {least}."));
        } else if number > i128::from(most) {
            self.add(field, format!("Ensure this value is less than or equal to {most}."));
        } else {
            return u64::try_from(number).ok();
        }
        None
    }

    /// Reads one of the numbers up to `most` that a field offers.
    pub(super) fn choice(
        &mut self,
        field: &str,
        data: &RequestData,
        least: u64,
        most: u64,
    ) -> Option<u64> {
        let number = self.whole(field, data)?;
        let chosen = u64::try_from(number).ok().filter(|chosen| (least..=most).contains(chosen));
        if chosen.is_none() {
            let text = "is not one of the available choices.";
            self.add(field, format!("Select a valid choice. {number} {text}"));
        }
        chosen
    }

    fn whole(&mut self, field: &str, data: &RequestData) -> Option<i128> {
        let number = match data.get(field)? {
            Value::Null => return None,
            Value::String(text) if text.is_empty() => return None,
            Value::String(text) => text.parse().ok(),
            Value::Number(number) => number.to_string().parse().ok(),
            _ => None,
        };
        if number.is_none() {
            self.add(field, "Enter a whole number.");
        }
        number
    }

    /// Checks a schedule: five columns with one space in between, of numbers only.
    pub(super) fn schedule(&mut self, field: &str, text: &str) {
        let columns: Vec<&str> = text.split(' ').collect();
        if columns.len() != 5 {
            self.add(field, "Entry has to consist of exactly 5 columns.");
        } else if let Some(at) = columns.iter().position(|column| !is_column(column)) {
            self.add(field, format!("Incorrect value in {}. column.", at + 1));
        }
    }
}

/// Says whether a text is `*`, or numbers and ranges of numbers with commas, and perhaps a step. How large
/// the numbers are does not matter.
fn is_column(text: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_range = |text: &str| match text.split_once('-') {
        Some((from, to)) => is_number(from) && is_number(to),
        None => is_number(text),
    };
    let (values, step) = match text.split_once('/') {
        Some((values, step)) => (values, Some(step)),
        None => (text, None),
    };
    step.is_none_or(is_number) && (values == "*" || values.split(',').all(is_range))
}

fn too_long(length: usize, longest: usize) -> String {
    format!("Ensure this value has at most {longest} characters (it has {length}).")
}

const INVALID: &str = "Invalid value.";

/// The longest note or description, in characters.
const LONGEST_TEXT: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    fn data(value: &Value) -> RequestData {
        RequestData::of_body(Some("application/json"), value.to_string().as_bytes())
    }

    fn said(faults: &FieldFaults, field: &str) -> String {
        faults.0.get(field).map(|texts| texts[0].as_str().unwrap().to_owned()).unwrap_or_default()
    }

    #[test]
    fn schedules_have_five_columns_of_numbers() {
        let fault = |text: &str| {
            let mut faults = FieldFaults::default();
            faults.schedule("schedule", text);
            said(&faults, "schedule")
        };
        for fine in ["99 2 * * *", "*/5 1-3,7 * * 1-5", "0 0 1 1 0", "1/2 * * * *"] {
            assert_eq!(fault(fine), "");
        }
        assert_eq!(fault("@daily"), "Entry has to consist of exactly 5 columns.");
        assert_eq!(fault("1  2 * * *"), "Entry has to consist of exactly 5 columns.");
        assert_eq!(fault("1 2 * jan mon"), "Incorrect value in 4. column.");
        assert_eq!(fault("*, 2 * * *"), "Incorrect value in 1. column.");
    }

    #[test]
    fn texts_names_and_numbers_have_limits() {
        let given = data(
            &json!({ "a": "x;", "b": null, "c": "x".repeat(129), "d": "5", "e": -1, "f": 1.5, "g": "" }),
        );
        let mut faults = FieldFaults::default();
        assert_eq!(faults.text("a", &given), None);
        assert_eq!(faults.text("b", &given).as_deref(), Some(""));
        assert_eq!(faults.text("c", &given), None);
        assert_eq!(faults.number("d", &given, 0, 9), Some(5));
        assert_eq!(faults.number("g", &given, 0, 9), None);
        for field in ["e", "f"] {
            assert_eq!(faults.number(field, &given, 0, 9), None);
        }
        assert_eq!(said(&faults, "a"), "Invalid value.");
        assert_eq!(
            said(&faults, "c"),
            "Ensure this value has at most 128 characters (it has 129)."
        );
        assert_eq!(said(&faults, "e"), "Ensure this value is greater than or equal to 0.");
        assert_eq!(said(&faults, "f"), "Enter a whole number.");
        for (name, text) in [("-x", "Invalid value."), ("a b", "Invalid value."), ("a.b-c_1", "")] {
            let mut faults = FieldFaults::default();
            faults.name("name", name, 8);
            assert_eq!(said(&faults, "name"), text, "{name}");
        }
    }
}
