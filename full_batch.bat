@echo off
rem One night: sorts the photos in data\incoming. Start it by hand, from the Task Scheduler, from anywhere.
rem   full_batch.bat          sort the photos that lie in data\incoming
rem   full_batch.bat --demo   draw some photos, sort them in data\demo, show the table
rem   full_batch.bat pages    review the photos in a browser, at http://127.0.0.1:8000
rem   full_batch.bat health   any command of "python -m batch": health, report, history, requeue, config, ...
rem   full_batch.bat --help   all commands; "full_batch.bat COMMAND --help" explains one
rem Exit codes of a night: 0 all swept, 1 could not do its work, 2 wrong usage or setting, 3 swept with failed photos,
rem 75 another run is at work.
setlocal
cd /d "%~dp0"
set "RUNS=import sys; sys.exit(sys.version_info < (3, 11))"
set "MAKES_ENVIRONMENTS=import venv, ensurepip; %RUNS%"
set FOUND=

rem an environment that was made while the one before was in use takes its place
if exist .venv.next\made-from ren .venv .venv.old-%RANDOM% >nul 2>nul
if exist .venv.next\made-from if not exist .venv ren .venv.next .venv >nul 2>nul

set "CHECK=%MAKES_ENVIRONMENTS%"
if defined PYTHON call :try "%PYTHON%"
set "CHECK=%RUNS%"
if not defined FOUND call :try ".venv\Scripts\python.exe"
set "CHECK=%MAKES_ENVIRONMENTS%"
if not defined FOUND call :try py -3
if not defined FOUND call :try python
if defined FOUND goto found
echo Nightsort needs Python 3.11 or newer and found none. Install it from python.org,>&2
echo or name one: set PYTHON=C:\path\to\python.exe>&2
exit /b 1

:try
rem -E -s: whatever PYTHON... variables and the user's own packages say
%* -E -s -c "%CHECK%" >nul 2>nul
if %ERRORLEVEL%==0 set FOUND=%*
exit /b 0

:found
%FOUND% -E -s -X utf8 -m batch.environment %*
exit /b %ERRORLEVEL%
