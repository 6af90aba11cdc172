/** Imported before all else: what the other modules allocate while they load would make the young generation grow. */
import { tuneCollector } from '@burrow/tunnel/node';

tuneCollector();
