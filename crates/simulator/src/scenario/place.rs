// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Where a value stands in the file, and the checks that name that place in their refusals.

use super::{LONGEST, SECOND, Scenario, ScenarioError, WHOLE_PPM};

/// Where a value stands, for the sentence that refuses it.
pub(super) struct Place<'a> {
    vm: Option<&'a str>,
    process: Option<&'a str>,
    context: Option<&'a str>,
    bands: bool,
}

impl<'a> Place<'a> {
    pub(super) const fn top() -> Self {
        Self {
            vm: None,
            process: None,
            context: None,
            bands: false,
        }
    }

    pub(super) const fn bands() -> Self {
        Self {
            bands: true,
            ..Self::top()
        }
    }

    pub(super) const fn vm(name: &'a str) -> Self {
        Self {
            vm: Some(name),
            ..Self::top()
        }
    }

    pub(super) const fn process(&self, name: &'a str) -> Self {
        Self {
            process: Some(name),
            ..*self
        }
    }

    pub(super) const fn context(&self, name: &'a str) -> Self {
        Self {
            context: Some(name),
            ..*self
        }
    }

    fn said(&self) -> String {
        let named = [
            ("vm", self.vm),
            ("process", self.process),
            ("context", self.context),
        ];
        let named: Vec<String> = named
            .iter()
            .filter_map(|(kind, name)| name.map(|name| format!("{kind} {name:?}")))
            .collect();
        match (self.bands, named.is_empty()) {
            (true, _) => "[bands]: ".to_owned(),
            (false, true) => String::new(),
            (false, false) => format!("{}: ", named.join(", ")),
        }
    }

    pub(super) fn missing(&self, key: &'static str, remedy: &'static str) -> ScenarioError {
        ScenarioError::Missing {
            place: self.said(),
            key,
            remedy,
        }
    }

    pub(super) fn contradiction(&self, what: &'static str) -> ScenarioError {
        ScenarioError::Contradiction {
            place: self.said(),
            what,
        }
    }

    pub(super) fn twins(&self, kind: &'static str, name: String) -> ScenarioError {
        ScenarioError::Twins {
            place: self.said(),
            kind,
            name,
        }
    }

    pub(super) fn ppm(&self, key: &'static str, value: u64) -> Result<u32, ScenarioError> {
        u32::try_from(value)
            .ok()
            .filter(|&share| share <= WHOLE_PPM)
            .ok_or_else(|| self.too_large(key, value, WHOLE_PPM))
    }

    pub(super) fn engines(&self, value: u64) -> Result<u16, ScenarioError> {
        match u16::try_from(value) {
            Ok(0) => Err(ScenarioError::Zero {
                place: self.said(),
                key: "engines",
            }),
            Ok(engines) if engines <= Scenario::MAX_ENGINES => Ok(engines),
            _ => Err(self.too_large("engines", value, Scenario::MAX_ENGINES)),
        }
    }

    pub(super) fn too_large(
        &self,
        key: &'static str,
        value: impl ToString,
        most: impl ToString,
    ) -> ScenarioError {
        ScenarioError::TooLarge {
            place: self.said(),
            key,
            value: value.to_string(),
            most: most.to_string(),
        }
    }

    pub(super) fn time(
        &self,
        key: &'static str,
        value: u64,
        unit: u64,
    ) -> Result<u64, ScenarioError> {
        value
            .checked_mul(unit)
            .filter(|&time| time <= LONGEST)
            .ok_or_else(|| self.too_large(key, value, LONGEST / unit))
    }

    pub(super) fn positive(
        &self,
        key: &'static str,
        value: u64,
        unit: u64,
    ) -> Result<u64, ScenarioError> {
        match self.time(key, value, unit)? {
            0 => Err(ScenarioError::Zero {
                place: self.said(),
                key,
            }),
            time => Ok(time),
        }
    }

    /// A positive decimal number as whole thousandths: what is decided with it is decided in integers.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked to be positive and small"
    )]
    pub(super) fn thousandths(
        &self,
        key: &'static str,
        value: f64,
        most: u32,
    ) -> Result<u64, ScenarioError> {
        if !value.is_finite() || value > f64::from(most) {
            return Err(self.too_large(key, value, most));
        }
        let thousandths = (value * 1_000.0).round();
        if thousandths < 0.0 {
            return Err(ScenarioError::Syntax {
                line: None,
                message: format!(
                    "{}{key} is {value}, which is negative: give it a positive value",
                    self.said()
                ),
            });
        }
        if thousandths < 1.0 {
            return Err(ScenarioError::Zero {
                place: self.said(),
                key,
            });
        }
        Ok(thousandths as u64)
    }

    /// The mean time between arrivals.
    pub(super) fn gap(&self, rate_per_s: f64) -> Result<u64, ScenarioError> {
        let rate = self.thousandths("rate_per_s", rate_per_s, 1_000_000)?;
        Ok(SECOND * 1_000 / rate)
    }
}
