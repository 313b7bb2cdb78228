/**
 * `tlswarden completion`: a script by which bash or zsh completes commands, options, settings' keys and values, and the
 * names of hosted domains. It is made of the program as it is, so that it cannot fall behind; it reads no settings.
 */
import { Argument, type Command, type Option } from 'commander';
import { CIPHER_GRADES, LEVELS, TLS_VERSIONS } from '../settings/level.ts';
import { SETTING_KEYS } from '../settings/parse-setting.ts';
import { ENFORCEMENTS, HOPS, type Hop } from '../settings/setting.ts';
import { action, WELL } from './command-context.ts';
import { HOP_NAMES } from './domains/assignments.ts';

const HELP = `
Try it in this shell:
  $ source <(tlswarden completion bash)

For good, for everyone (bash with the package bash-completion; zsh):
  $ tlswarden completion bash > /etc/bash_completion.d/tlswarden
  $ tlswarden completion zsh > /usr/local/share/zsh/site-functions/_tlswarden

Exit status: 0; 2 if the shell is another one.`;

/** The fixed values of a setting's keys. */
const VALUES: Readonly<Record<Hop, Readonly<Record<string, readonly string[]>>>> = {
  receipt: {
    require_tls: ['never', 'always', 'specific'],
    when: ['either', 'both'],
    enforcement: ENFORCEMENTS,
    min_protocol: TLS_VERSIONS,
    on_failure: ['reject', 'defer'],
  },
  delivery: {
    require_tls: ['never', 'always', 'specific'],
    when: ['either', 'both'],
    enforcement: ENFORCEMENTS,
    level: LEVELS,
    protocols: TLS_VERSIONS.map((version) => `>=${version}`),
    ciphers: CIPHER_GRADES,
    on_failure: ['defer', 'bounce'],
  },
};

/**
 * Makes `tlswarden completion` a command of `program`; the script has the commands that are there when it is printed.
 */
export function addCompletion(program: Command): void {
  program
    .command('completion')
    .addArgument(new Argument('<shell>', 'the shell').choices(['bash', 'zsh']))
    .summary('a script that completes commands, keys and domains in a shell')
    .description('Prints a script by which the shell completes commands, options, keys, values and hosted domains.')
    .addHelpText('after', HELP)
    .action(
      action(async (context, shell: 'bash' | 'zsh') => {
        const candidates = candidatesFunction(program);
        context.print(shell === 'bash' ? bashScript(candidates) : zshScript(candidates));
        return WELL;
      }),
    );
}

function bashScript(candidates: string): string {
  return `# Completion of tlswarden for bash, by "tlswarden completion bash".
${candidates}
_tlswarden() {
  # Bash breaks words at = and :, which a word of ours may contain: take the line itself.
  local line="\${COMP_LINE:0:COMP_POINT}" cur prefix candidate
  local -a words
  read -r -a words <<< "$line"
  case $line in *[[:space:]]|'') cur='' ;; *) cur=\${words[\${#words[@]}-1]}; unset "words[\${#words[@]}-1]" ;; esac
  # What bash has broken off and keeps.
  prefix=''
  case $cur in *[=:]*) prefix=\${cur%"\${cur##*[=:]}"} ;; esac
  COMPREPLY=()
  while IFS= read -r candidate; do
    # Unescaped it would lead the output into a file.
    candidate=\${candidate//>/\\\\>}
    case $candidate in "$cur"*) COMPREPLY+=("\${candidate#"$prefix"}") ;; esac
  done < <(_tlswarden_candidates "$cur" "\${words[@]}")
  if [[ \${#COMPREPLY[@]} -eq 1 && \${COMPREPLY[0]} == *= ]]; then compopt -o nospace 2>/dev/null; fi
}
complete -o default -F _tlswarden tlswarden
`;
}

function zshScript(candidates: string): string {
  return `#compdef tlswarden
# Completion of tlswarden for zsh, by "tlswarden completion zsh".
${candidates}
_tlswarden() {
  local -a all open
  all=("\${(@f)$(_tlswarden_candidates "\${words[CURRENT]}" "\${(@)words[1,CURRENT-1]}")}")
  open=("\${(@M)all:#*=}")
  all=("\${(@)all:#*=}")
  all=("\${(@)all:#}")
  (( \${#open} )) && compadd -S '' -a open
  (( \${#all} )) && compadd -a all
  (( \${#open} + \${#all} )) || _files
}
if [ "$funcstack[1]" = "_tlswarden" ]; then _tlswarden "$@"; else compdef _tlswarden tlswarden; fi
`;
}

/**
 * The function that both shells share: gets the word to be completed, then all before it, the program first; prints
 * candidates, a line each.
 */
function candidatesFunction(program: Command): string {
  const paths = commandPaths(program);
  const groups = program.commands.filter((command) => command.commands.length > 0).map((command) => command.name());
  const valued = paths.flatMap(({ options }) => options.filter((option) => option.required));
  return `_tlswarden_candidates() {
  local cur=$1 program=$2 config='' command='' sub='' hop='' option='' count=0 word
  shift; [ $# -gt 0 ] && shift
  for word in "$@"; do
    if [ -n "$option" ]; then
      if [ "$option" = --config ]; then config=$word; fi
      option=''
      continue
    fi
    case $word in
      ${[...new Set(valued.map((option) => option.long))].join('|')}) option=$word ;;
      --config=*) config=\${word#--config=} ;;
      -*) ;;
      *)
        if [ -z "$command" ]; then command=$word
        else
          case "$command:$sub" in
            ${groups.map((name) => `${name}:`).join('|') || '-:'}) sub=$word ;;
            *)
              count=$((count + 1))
              case $word in ${HOP_NAMES.join('|')}) hop=$word ;; esac ;;
          esac
        fi ;;
    esac
  done
  case $option in
    '') ;;
${valued
  .filter((option) => choicesOf(option).length > 0)
  .map((option) => `    ${option.long}) ${print(choicesOf(option))}; return ;;\n`)
  .join('')}    *) return ;;
  esac
  case $cur in
    -*)
      case "$command $sub" in
${paths.map(({ path, options }) => `        '${path}') ${print(options.map((option) => option.long ?? ''))} ;;\n`).join('')}      esac
      ${print(['--help'])}
      return ;;
  esac
  case "$command $sub" in
${paths
  .filter(({ commands }) => commands.length > 0)
  .map(({ path, commands }) => `    '${path}') ${print(commands)} ;;\n`)
  .join('')}    'completion ') ${print(['bash', 'zsh'])} ;;
    'help ') [ "$count" -eq 0 ] && ${print(program.commands.map((command) => command.name()))} ;;
    'domains show'|'domains export'|'domains log'|'probe '|'report ') _tlswarden_names ;;
    'domains unset')
      case $count in 0) _tlswarden_names ;; 1) ${print(HOP_NAMES)} ;; esac ;;
    'domains set')
      if [ "$count" -eq 0 ]; then _tlswarden_names; return; fi
      case "$hop $cur" in
${valueCases()}        *=*) ;;
        *)
          ${print([...HOP_NAMES, 'aliases=', 'nexthop='])}
          case $hop in
${HOPS.map((hop) => `            *.${hop}) ${print(SETTING_KEYS[hop].map((key) => `${key}=`))} ;;\n`).join('')}          esac ;;
      esac ;;
  esac
}
_tlswarden_names() {
  if [ -n "$config" ]; then "$program" --config "$config" domains list --names 2>/dev/null
  else "$program" domains list --names 2>/dev/null; fi
}
`;
}

interface CommandPath {
  /** `domains set`; a space alone is the program itself. */
  readonly path: string;
  readonly options: readonly Option[];
  readonly commands: readonly string[];
}

function commandPaths(program: Command): readonly CommandPath[] {
  const one = (path: string, command: Command): CommandPath => ({
    path,
    options: command.options.filter((option) => !option.hidden),
    commands: [...command.commands.map((sub) => sub.name()), ...(command === program ? ['help'] : [])],
  });
  return [
    one(' ', program),
    ...program.commands.flatMap((command) => [
      one(`${command.name()} `, command),
      ...command.commands.map((sub) => one(`${command.name()} ${sub.name()}`, sub)),
    ]),
  ];
}

function choicesOf(option: Option): readonly string[] {
  if (option.long === '--tls') return TLS_VERSIONS;
  return option.argChoices ?? [];
}

function valueCases(): string {
  return HOPS.flatMap((hop) =>
    Object.entries(VALUES[hop]).map(
      ([key, values]) => `        *.${hop}' ${key}='*) ${print(values.map((value) => `${key}=${value}`))} ;;\n`,
    ),
  ).join('');
}

function print(words: readonly string[]): string {
  return words.length === 0 ? ':' : `printf '%s\\n' ${words.map((word) => `'${word}'`).join(' ')}`;
}
