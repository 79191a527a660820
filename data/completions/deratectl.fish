# SPDX-License-Identifier: LGPL-2.1-or-later
# fish completion for deratectl, which knows itself what may follow.
function __deratectl_complete
    set -l words (commandline -opc)
    set -l last (commandline -ct)
    for line in ($words[1] complete $words[2..-1] "$last" 2>/dev/null)
        switch $line
            case :file
                __fish_complete_path "$last"
            case :command
                complete -C "$last"
            case '*'
                echo -- $line
        end
    end
end
complete -c deratectl -f -a '(__deratectl_complete)'
