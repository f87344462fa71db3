# Installs `kubectl workqueue` for the user who runs it: from a release archive that lies unpacked around
# this script, or from what -From names.
[CmdletBinding()]
param(
    # A release archive (.zip), or a directory or an http address with the archives of a release and their
    # SHA256SUMS, of which the one for Windows is taken.
    [string]$From = '',
    # Where the programs go.
    [string]$To = (Join-Path $env:LOCALAPPDATA 'Programs\kubectl-workqueue'),
    # Remove what was installed.
    [switch]$Uninstall
)
$ErrorActionPreference = 'Stop'
$Plugin = 'kubectl-workqueue.exe'
$Platform = 'windows-amd64'

function Fail([string]$Message, [string]$Hint) {
    [Console]::Error.WriteLine("error: $Message")
    if ($Hint) { [Console]::Error.WriteLine("hint: $Hint") }
    exit 1
}

# The name of the archive for Windows among those of a release.
function Find-Archive([string[]]$Sums) {
    $Names = @($Sums | Where-Object { $_ -match "^[0-9a-f]{64} [ *](kubectl-workqueue-v\S+-$Platform\.zip)`$" } |
        ForEach-Object { $_.Substring(66) })
    if ($Names.Count -ne 1) { Fail "$From has $($Names.Count) archives for $Platform" 'name one with -From' }
    $Names[0]
}

# What is downloaded or copied is never run unchecked.
function Expand-Checked([string]$Archive, [string[]]$Sums, [string]$Directory) {
    $Name = Split-Path $Archive -Leaf
    $Sum = (Get-FileHash -Algorithm SHA256 $Archive).Hash.ToLowerInvariant()
    if (-not ($Sums | Where-Object { $_ -match "^$Sum [ *]$([regex]::Escape($Name))`$" })) {
        Fail "the checksum of $Archive is not the released one" 'the file is damaged, or not the one that was released'
    }
    Expand-Archive -Path $Archive -DestinationPath $Directory
    (Get-ChildItem -Directory $Directory | Select-Object -First 1).FullName
}

# The directory that holds the programs.
function Find-Program([string]$Temporary) {
    if (-not $From) {
        if (Test-Path (Join-Path $PSScriptRoot $Plugin)) { return $PSScriptRoot }
        Fail "there is no $Plugin next to install.ps1" 'name a release archive with -From'
    }
    if ($From -match '^https?://') {
        [Net.ServicePointManager]::SecurityProtocol = [Net.SecurityProtocolType]::Tls12
        $List = Join-Path $Temporary 'SHA256SUMS'
        Invoke-WebRequest -UseBasicParsing -Uri "$($From.TrimEnd('/'))/SHA256SUMS" -OutFile $List
        $Sums = Get-Content $List
        $Name = Find-Archive $Sums
        $Archive = Join-Path $Temporary $Name
        Invoke-WebRequest -UseBasicParsing -Uri "$($From.TrimEnd('/'))/$Name" -OutFile $Archive
        return Expand-Checked $Archive $Sums (Join-Path $Temporary 'unpacked')
    }
    if (Test-Path (Join-Path $From $Plugin)) { return $From }
    if (Test-Path $From -PathType Container) {
        $Sums = Get-Content (Join-Path $From 'SHA256SUMS')
        return Expand-Checked (Join-Path $From (Find-Archive $Sums)) $Sums (Join-Path $Temporary 'unpacked')
    }
    if (-not (Test-Path $From)) { Fail "cannot read $From" }
    $List = Join-Path (Split-Path (Resolve-Path $From)) 'SHA256SUMS'
    if (Test-Path "$From.sha256") { $List = "$From.sha256" }
    return Expand-Checked $From (Get-Content $List) (Join-Path $Temporary 'unpacked')
}

function Install-All([string]$Source) {
    New-Item -ItemType Directory -Force $To | Out-Null
    # One of another version would be taken for this one's.
    Remove-Item (Join-Path $To 'workqueue-worker-linux-*')
    foreach ($File in Get-ChildItem -File $Source) {
        if ($File.Name -notmatch '^(kubectl-workqueue\.exe|kubectl_complete-workqueue\.cmd|workqueue-worker-linux-.*)$' -or
            $File.Name -like '*.json') { continue }
        Copy-Item $File.FullName $To
        Write-Output "installed $(Join-Path $To $File.Name)"
    }
    if (($env:PATH -split ';') -notcontains $To) {
        Write-Output "warning: $To is not on PATH, where kubectl looks for plugins; for new windows, put it there with:"
        Write-Output "  [Environment]::SetEnvironmentVariable('PATH', [Environment]::GetEnvironmentVariable('PATH', 'User') + ';$To', 'User')"
    }
    Write-Output 'try: kubectl workqueue --help'
}

if ($Uninstall) {
    if (Test-Path $To) { Remove-Item -Recurse $To; Write-Output "removed $To" }
    else { Write-Output "nothing of kubectl workqueue is in $To" }
    exit 0
}
$Temporary = Join-Path ([IO.Path]::GetTempPath()) ([Guid]::NewGuid())
New-Item -ItemType Directory $Temporary | Out-Null
try { Install-All (Find-Program $Temporary) } finally { Remove-Item -Recurse -Force $Temporary }
