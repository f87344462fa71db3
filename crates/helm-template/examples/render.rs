//! Prints the manifests of a chart, as `helm template` does.

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;

use helm_template::{Chart, KubeVersion, NoCluster, Release, ValueSources, ValuesFile, render};

const USAGE: &str =
    "usage: render CHART [--name NAME] [--namespace NAMESPACE] [-f VALUES]... [--set NAME=VALUE]...";

fn main() -> ExitCode {
    match run() {
        Ok(manifests) => {
            print!("{manifests}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("Error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<String, Box<dyn Error>> {
    let mut chart = None;
    let (mut name, mut namespace) = ("release-name".to_owned(), "default".to_owned());
    let mut values = ValueSources::default();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or(USAGE);
        match argument.as_str() {
            "--name" => name = value()?,
            "--namespace" => namespace = value()?,
            "-f" => {
                let name = value()?;
                let text = std::fs::read_to_string(&name)?;
                values.files.push(ValuesFile { name, text });
            }
            "--set" => values.set.push(value()?),
            option if option.starts_with('-') => return Err(USAGE.into()),
            path => chart = Some(Chart::from_dir(Path::new(path))?),
        }
    }
    let chart = chart.ok_or(USAGE)?;
    let release = Release::new(&name, &namespace);
    let rendered = render(&chart, &values, &release, &KubeVersion::default(), &NoCluster)?;
    Ok(rendered.to_yaml())
}
