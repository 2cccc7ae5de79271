@echo off
rem One night: sorts the photos in data\incoming. Start it by hand, from the Task Scheduler, from anywhere.
rem   full_batch.bat          sort the photos that lie in data\incoming
rem   full_batch.bat --demo   draw some photos, sort them in data\demo, show the table
rem   full_batch.bat --help   all options
rem Exit codes: 0 all swept, 1 could not do its work, 2 wrong usage or setting, 3 swept with failed photos,
rem 75 another run is at work.
setlocal
cd /d "%~dp0"
set "CHECK=import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))"
set FOUND=

if defined PYTHON call :try "%PYTHON%"
if not defined FOUND call :try ".venv\Scripts\python.exe"
if not defined FOUND call :try py -3
if not defined FOUND call :try python
if defined FOUND goto found
echo Nightsort needs Python 3.11 or newer and found none. Install it from python.org,>&2
echo or name one: set PYTHON=C:\path\to\python.exe>&2
exit /b 1

:try
%* -c "%CHECK%" >nul 2>nul
if %ERRORLEVEL%==0 set FOUND=%*
exit /b 0

:found
%FOUND% -m batch.environment %*
exit /b %ERRORLEVEL%
