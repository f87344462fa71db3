//! Dates, in UTC.

use super::Type::{Any, String as Text, Time as Date};
use super::{Call, Function, plain};
use crate::chart::golang::time::{self, Time};
use crate::chart::value::Value;

pub(super) const FUNCTIONS: &[Function] = &[
    plain("now", &[], |_| Ok(Value::Time(Time::now()))),
    plain("date", &[Text, Any], |c| Ok(time::format(point(c.arg(1)), &c.text(0)).into())),
    plain("dateInZone", &[Text, Any, Text], date_in_zone),
    plain("date_in_zone", &[Text, Any, Text], date_in_zone),
    plain("htmlDate", &[Any], |c| Ok(time::format(point(c.arg(0)), "2006-01-02").into())),
    plain("htmlDateInZone", &[Any, Text], |c| Ok(time::format(point(c.arg(0)), "2006-01-02").into())),
    plain("dateModify", &[Text, Date], |c| modified(c, false)),
    plain("date_modify", &[Text, Date], |c| modified(c, false)),
    plain("mustDateModify", &[Text, Date], |c| modified(c, true)),
    plain("must_date_modify", &[Text, Date], |c| modified(c, true)),
    plain("toDate", &[Text, Text], |c| {
        let time = time::parse(&c.text(0), &c.text(1));
        Ok(Value::Time(time.unwrap_or_else(Time::zero)))
    }),
    plain("mustToDate", &[Text, Text], |c| {
        let time = time::parse(&c.text(0), &c.text(1));
        time.map(Value::Time).ok_or_else(|| format!("parsing time {:?}", c.text(1)))
    }),
    plain("unixEpoch", &[Date], |c| Ok(point(c.arg(0)).seconds.to_string().into())),
    plain("ago", &[Any], |c| {
        let age = Time::now().since(point(c.arg(0)));
        let seconds = age.saturating_add(age.signum() * 500_000_000) / 1_000_000_000;
        Ok(time::duration_to_string(seconds.saturating_mul(1_000_000_000)).into())
    }),
];

/// The point in time that a value stands for: seconds since 1970, or else now.
fn point(value: &Value) -> Time {
    match value {
        Value::Time(time) => *time,
        Value::Int(seconds) | Value::Int64(seconds) => Time::from_seconds(*seconds),
        _ => Time::now(),
    }
}

/// Every zone but UTC is taken for UTC, as helm does with zones that it does not know.
fn date_in_zone(call: &Call<'_>) -> Result<Value, String> {
    Ok(time::format(point(call.arg(1)), &call.text(0)).into())
}

fn modified(call: &Call<'_>, strict: bool) -> Result<Value, String> {
    let time = point(call.arg(1));
    match time::parse_duration(&call.text(0)) {
        Some(nanos) => Ok(Value::Time(time.plus(nanos))),
        None if strict => Err(format!("invalid duration {:?}", call.text(0))),
        None => Ok(Value::Time(time)),
    }
}
