//! Times as people write and read them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use humantime_serde::re::humantime;

use crate::events::Millis;

/// The last moment of the year 9999: later ones cannot be written.
const LAST: Millis = 253_402_300_799_999;

/// `2026-11-23T06:00:00.000Z`
pub(super) fn written(at: Millis) -> String {
    humantime::format_rfc3339_millis(UNIX_EPOCH + Duration::from_millis(at.min(LAST))).to_string()
}

/// A time by RFC 3339, a date, or how long ago it was.
pub(super) fn parse(text: &str) -> Result<Millis, String> {
    let millis = |time: SystemTime| time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as Millis);
    if let Ok(ago) = humantime::parse_duration(text) {
        return Ok(SystemTime::now().checked_sub(ago).map_or(0, millis));
    }
    let whole = if text.contains([':', 'T']) { text.to_owned() } else { format!("{text}T00:00:00Z") };
    humantime::parse_rfc3339_weak(&whole).map(millis).map_err(|_| {
        "must be a time such as 2026-11-23T06:00:00Z, a date such as 2026-11-23, or how long ago, such as 24h".to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_dates() {
        assert_eq!(parse("1970-01-02"), Ok(86_400_000));
        assert_eq!(parse("1970-01-01T00:00:01.5Z"), Ok(1_500));
        assert_eq!(written(1_500), "1970-01-01T00:00:01.500Z");
        assert_eq!(written(u64::MAX), "9999-12-31T23:59:59.999Z");
        assert!(parse("1h").unwrap() > parse("2h").unwrap());
        for text in ["yesterday", "", "2026-13-01", "12"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
