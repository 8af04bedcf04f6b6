@echo off
rem Opens LoRALab with a double click. It finds a Python that can run it, and says in a window what is missing and where to get it.
setlocal
title LoRALab
set "LORALAB_STARTER=bat"
set "FITS=import sys; sys.exit(sys.version_info < (3, 10) or sys.maxsize < 2**32)"
pushd "%~dp0"

rem The stand-in that Windows comes with (it only opens the Store) fails this test as a Python that is too old does.
py -3 -c "%FITS%" >nul 2>nul && goto launcher
python -c "%FITS%" >nul 2>nul && goto path
for /d %%D in ("%LocalAppData%\Programs\Python\Python3*" "%ProgramFiles%\Python3*") do (
    if exist "%%~D\python.exe" "%%~D\python.exe" -c "%FITS%" >nul 2>nul && set "FOUND=%%~D\python.exe"
)
if defined FOUND goto found

echo LoRALab needs Python 3.10 or newer (64 bits), and none was found on this computer.
echo Install Python 3.12 from https://www.python.org/downloads/windows/ and open LoRALab again.
powershell -NoProfile -Command "Add-Type -AssemblyName PresentationFramework; exit [int]([System.Windows.MessageBox]::Show('LoRALab needs Python 3.10 or newer (64 bits), and none was found on this computer. Open the page where you get it? Install Python 3.12 from there, then open LoRALab again.', 'LoRALab', 'YesNo') -ne 'Yes')" 2>nul && start "" "https://www.python.org/downloads/windows/"
pause
exit /b 1

:launcher
py -3 "%~dp0launch.py" %*
goto ended
:path
python "%~dp0launch.py" %*
goto ended
:found
"%FOUND%" "%~dp0launch.py" %*
:ended
if errorlevel 1 pause
popd
