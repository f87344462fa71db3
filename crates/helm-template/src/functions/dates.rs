//! Dates, in UTC where no zone is named.

use super::Type::{Any, String as Text, Time as Date};
use super::{Call, Function, plain};
use crate::golang::time::{self, Time};
use crate::golang::{time_layout, zone};
use crate::value::Value;

pub(super) const FUNCTIONS: &[Function] = &[
    plain("now", &[], |_| Ok(Value::Time(Time::now()))),
    plain("date", &[Text, Any], |c| Ok(time_layout::format(point(c.arg(1)).at_offset(0), &c.text(0)).into())),
    plain("dateInZone", &[Text, Any, Text], |c| in_zone(c, &c.text(0), c.arg(1), &c.text(2))),
    plain("date_in_zone", &[Text, Any, Text], |c| in_zone(c, &c.text(0), c.arg(1), &c.text(2))),
    plain("htmlDate", &[Any], |c| Ok(time_layout::format(point(c.arg(0)).at_offset(0), HTML).into())),
    plain("htmlDateInZone", &[Any, Text], |c| in_zone(c, HTML, c.arg(0), &c.text(1))),
    plain("dateModify", &[Text, Date], |c| modified(c, false)),
    plain("date_modify", &[Text, Date], |c| modified(c, false)),
    plain("mustDateModify", &[Text, Date], |c| modified(c, true)),
    plain("must_date_modify", &[Text, Date], |c| modified(c, true)),
    plain("toDate", &[Text, Text], |c| {
        let time = time_layout::parse(&c.text(0), &c.text(1));
        Ok(Value::Time(time.unwrap_or_else(Time::zero)))
    }),
    plain("mustToDate", &[Text, Text], |c| {
        let time = time_layout::parse(&c.text(0), &c.text(1));
        time.map(Value::Time).ok_or_else(|| format!("parsing time {:?}", c.text(1)))
    }),
    plain("unixEpoch", &[Date], |c| Ok(point(c.arg(0)).seconds.to_string().into())),
    plain("ago", &[Any], |c| {
        let age = Time::now().since(point(c.arg(0)));
        let seconds = age.saturating_add(age.signum() * 500_000_000) / 1_000_000_000;
        Ok(time::duration_to_string(seconds.saturating_mul(1_000_000_000)).into())
    }),
];

/// The layout of dates in HTML.
const HTML: &str = "2006-01-02";
/// The cost of reading a zone in produced bytes, which limits how many a render can read.
const ZONE_COST: usize = 4 << 10;

/// A value as a point in time: seconds since 1970; the default is now.
fn point(value: &Value) -> Time {
    match value {
        Value::Time(time) => *time,
        Value::Int(seconds) | Value::Int64(seconds) => Time::from_seconds(*seconds),
        _ => Time::now(),
    }
}

/// An unknown zone means UTC.
fn in_zone(call: &Call<'_>, layout: &str, value: &Value, zone: &str) -> Result<Value, String> {
    call.will_produce(ZONE_COST)?;
    let time = point(value);
    let (offset, name) = zone::at(zone, time.seconds).unwrap_or_else(|| (0, "UTC".into()));
    Ok(time_layout::format_in(time.at_offset(offset), &name, layout).into())
}

fn modified(call: &Call<'_>, strict: bool) -> Result<Value, String> {
    let time = point(call.arg(1));
    match time::parse_duration(&call.text(0)) {
        Some(nanos) => Ok(Value::Time(time.plus(nanos))),
        None if strict => Err(format!("invalid duration {:?}", call.text(0))),
        None => Ok(Value::Time(time)),
    }
}
