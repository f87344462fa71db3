# Installs from a directory with the archives of a release, and tries the plugin on Windows:
#
#   tests/release/installed.ps1 DIRECTORY
param([Parameter(Mandatory)][string]$Archives)
$ErrorActionPreference = 'Stop'
$Root = Split-Path (Split-Path $PSScriptRoot)
$To = Join-Path ([IO.Path]::GetTempPath()) ([Guid]::NewGuid())

& "$Root/install.ps1" -From $Archives -To $To
$Plugin = Join-Path $To 'kubectl-workqueue.exe'
& $Plugin --version
if ($LASTEXITCODE -ne 0) { throw "--version ended with $LASTEXITCODE" }

$env:KUBECONFIG = Join-Path $To 'none'
$Manifests = (& $Plugin render --with-worker) -join "`n"
foreach ($Arch in 'amd64', 'arm64') {
    if ($Manifests -notmatch "name: workqueue-worker-$Arch-") { throw "render has no worker for $Arch" }
}
Write-Output 'ok: render, with the workers for amd64 and arm64'

$Said = (& cmd /c "`"$Plugin`" local apple -- more 2>&1") -join "`n"
if ($LASTEXITCODE -ne 1 -or $Said -notmatch 'WSL') { throw "local said: $Said" }
Write-Output 'ok: local says what to use'

& "$Root/install.ps1" -To $To -Uninstall
