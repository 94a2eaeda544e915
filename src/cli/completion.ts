import { Argument, type Command } from "commander";
import type { AddCommand } from "./context.ts";
import { EXIT } from "./exit.ts";

/** One command with what can be typed after it. */
interface Word {
  name: string;
  help: string;
  options: { flag: string; help: string }[];
}

type Shell = "bash" | "zsh" | "fish";

const SCRIPTS: Record<Shell, (words: readonly Word[]) => string> = { bash, zsh, fish };

export const addCompletion: AddCommand = (program, context) => {
  program
    .command("completion")
    .description("print a completion script, such as: modelhaul completion bash >> ~/.bashrc")
    .addArgument(new Argument("<shell>", "bash, zsh or fish").choices(Object.keys(SCRIPTS)))
    .action(
      context.action(async (shell: Shell) => {
        context.terminal.out(SCRIPTS[shell](words(program)));
        return EXIT.done;
      }),
    );
};

const words = (program: Command): Word[] =>
  program.commands.map((command) => ({
    name: command.name(),
    help: command.description(),
    options: command.options.flatMap(({ long, description }) =>
      long ? [{ flag: long, help: description }] : [],
    ),
  }));

function bash(all: readonly Word[]): string {
  const cases = all.map(
    (word) => `    ${word.name}) words="${word.options.map((o) => o.flag).join(" ")}" ;;`,
  );
  return `_modelhaul() {
  local words="${all.map((word) => word.name).join(" ")}" current="\${COMP_WORDS[COMP_CWORD]}"
  if [ "$COMP_CWORD" -gt 1 ]; then case "\${COMP_WORDS[1]}" in
${cases.join("\n")}
    *) words="" ;;
  esac; fi
  case "$current" in
    -*) COMPREPLY=($(compgen -W "$words" -- "$current")) ;;
    *) if [ "$COMP_CWORD" -gt 1 ]; then COMPREPLY=($(compgen -f -- "$current"))
       else COMPREPLY=($(compgen -W "$words" -- "$current")); fi ;;
  esac
}
complete -F _modelhaul modelhaul`;
}

const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;
/** Brackets and colons separate the parts of zsh's own notation. */
const zshText = (text: string): string => text.replace(/[[\]:\\]/g, "\\$&");

function zsh(all: readonly Word[]): string {
  const commands = all.map((word) => quoted(`${zshText(word.name)}:${zshText(word.help)}`)).join(" ");
  const cases = all.map((word) => {
    const flags = word.options.map((o) => quoted(`${o.flag}[${zshText(o.help)}]`)).join(" ");
    return `    ${word.name}) _arguments ${flags} '*:file:_files' ;;`;
  });
  return `#compdef modelhaul
_modelhaul() {
  if (( CURRENT == 2 )); then local -a commands=(${commands}); _describe command commands; return; fi
  local word=$words[2]; shift words; (( CURRENT-- ))
  case $word in
${cases.join("\n")}
  esac
}
compdef _modelhaul modelhaul`;
}

function fish(all: readonly Word[]): string {
  const line = (...parts: string[]): string => ["complete -c modelhaul", ...parts].join(" ");
  const commands = all.map((word) =>
    line("-n __fish_use_subcommand -f -a", word.name, "-d", quoted(word.help)),
  );
  const options = all.flatMap((word) =>
    word.options.map((o) =>
      line(
        `-n '__fish_seen_subcommand_from ${word.name}' -l`,
        o.flag.replace(/^--/, ""),
        "-d",
        quoted(o.help),
      ),
    ),
  );
  return [...commands, ...options].join("\n");
}
