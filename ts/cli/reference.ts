/** docs/cli.md, made from the commands. */
import type { Command } from 'commander';
import { escape } from '../run/config/reference.js';

export function commandPages(program: Command): string {
  const general = optionTable(program);
  return [
    `## tensorkiln\n\n${program.description()}\n\n${general}`,
    ...program.commands.map((command) => commandPage(command)),
  ].join('\n\n');
}

function commandPage(command: Command): string {
  const help = command.createHelp();
  const args = command.registeredArguments;
  const usage = `tensorkiln ${command.name()} ${command.usage()}`;
  const argumentLines = args.map((argument) => `- \`${argument.name()}\`: ${escape(help.argumentDescription(argument))}`);
  return [
    `## ${command.name()}`,
    `${capital(command.description())}.`,
    `\`\`\`sh\n${usage}\n\`\`\``,
    ...(argumentLines.length === 0 ? [] : [argumentLines.join('\n')]),
    optionTable(command),
  ].join('\n\n');
}

function optionTable(command: Command): string {
  const help = command.createHelp();
  const rows = help.visibleOptions(command).map((option) => `| \`${option.flags}\` | ${escape(option.description)} |`);
  return ['| option | meaning |', '| --- | --- |', ...rows].join('\n');
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
