import { z } from 'zod';

export const milliseconds = (min: number, max: number): z.ZodNumber =>
  z.number().int().min(min).max(max);

export const count = (min: number, max: number): z.ZodNumber => z.number().int().min(min).max(max);
