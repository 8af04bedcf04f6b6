#!/bin/sh
# Opens LoRALab with a double click: on a Mac this file itself, on Linux loralab.desktop through it.
# It finds a Python that can run it, and says in a window what is missing and where to get it.
here=$(cd -- "$(dirname -- "$0")" && pwd -P) || exit 1
[ -n "$LORALAB_SYSTEM" ] || LORALAB_SYSTEM=$(uname)

say() { # a window with a sentence, by whatever this system has for that; and always in the terminal, if there is one
    printf '%s\n' "$1" >&2
    if [ "$LORALAB_SYSTEM" = Darwin ]; then
        osascript -e 'on run words' -e 'display dialog (item 1 of words) with title "LoRALab" buttons {"OK"} default button 1' -e 'end run' "$1"
    elif command -v zenity; then
        zenity --info --title=LoRALab --width=420 --no-markup --text="$1"
    elif command -v kdialog; then
        kdialog --title LoRALab --sorry "$1"
    elif command -v xmessage; then
        printf '%s\n' "$1" | fold -s -w 70 | xmessage -center -title LoRALab -file -
    fi >/dev/null 2>&1
}

fits() { # whether a Python is there, new enough and of 64 bits; Apple's own stand-in would only offer developer tools
    found=$(command -v "$1") || return 1
    if [ "$LORALAB_SYSTEM" = Darwin ] && [ "$found" = /usr/bin/python3 ]; then
        xcode-select -p >/dev/null 2>&1 || return 1
    fi
    "$found" -c 'import sys; sys.exit(sys.version_info < (3, 10) or sys.maxsize < 2**32)' >/dev/null 2>&1
}

python=
for name in python3.12 python3.13 python3.14 python3.11 python3 python3.10 python \
    /opt/homebrew/bin/python3 /usr/local/bin/python3 /Library/Frameworks/Python.framework/Versions/Current/bin/python3; do
    if fits "$name"; then
        python=$found
        break
    fi
done
if [ -z "$python" ]; then
    where="from python.org/downloads"
    [ "$LORALAB_SYSTEM" = Darwin ] || where="with your system's software centre, or from python.org/downloads"
    say "LoRALab needs Python 3.10 or newer, and none was found on this computer. Install Python 3.12 $where, then open LoRALab again."
    exit 1
fi

cd -- "$here" || exit 1
if [ -t 2 ]; then
    exec "$python" launch.py "$@"
fi
said=$("$python" launch.py "$@" 2>&1 >/dev/null)
code=$?
[ "$code" -ne 1 ] || say "$(printf '%s\n' "$said" | grep -v '^[[:space:]]*$' | tail -n 1)"
exit "$code"
