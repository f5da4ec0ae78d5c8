"""The hooks' checks, in small trainings by mmengine's Runner."""
