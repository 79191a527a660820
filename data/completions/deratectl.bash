# SPDX-License-Identifier: LGPL-2.1-or-later
# bash completion for deratectl, which knows itself what may follow.
_deratectl ()
{
  local line
  COMPREPLY=()
  while IFS= read -r line; do
    case $line in
      :file) compopt -o default ;;
      :command) mapfile -t COMPREPLY < <(compgen -c -- "$2") ;;
      *) COMPREPLY+=("${line%%$'\t'*}") ;;
    esac
  done < <("$1" complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2> /dev/null)
}
complete -F _deratectl deratectl
