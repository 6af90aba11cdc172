import type { Command } from 'commander';
import type { TraceOptions } from '../trace/trace.ts';

export function register(program: Command): void {
  program
    .command('trace')
    .summary('watch the frames of a channel (for administrators)')
    .description(
      'Shows what each relay sends and receives of one channel, and which links carry it, as it happens: never what it carries. Ends with the channel, or with Ctrl-C. When the relay that answers goes away, another is asked.',
    )
    .argument('<channel>', 'its id, or the first digits of it: burrow cluster channels lists them')
    .option('--no-data', 'leave out Data and Credit: what is left says where a channel goes')
    .option('--json', 'for scripts: the lines as the API gives them')
    .action(async (channel: string, options: TraceOptions) => {
      const { trace } = await import('../trace/trace.ts');
      await trace(channel, options);
    });
}
