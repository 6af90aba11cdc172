import { memoryRegistry, memoryRegistryBus } from './memory-registry.ts';
import { registryCompliance } from './registry-compliance.ts';

registryCompliance('in one process', async (t) => {
  const bus = memoryRegistryBus();
  return {
    create() {
      const registry = memoryRegistry(bus);
      t.after(() => registry.stop());
      return registry;
    },
    async kill(_registry, incarnation) {
      bus.expire(incarnation);
    },
  };
});
