"""RoPE's settings in a config.json, in the spelling of transformers 4 and in that of transformers 5."""

from gemma_edu.checkpoints.fields import Fields

HARMLESS_IN_ROPE = {"rope_theta", "rope_type", "type", "partial_rotary_factor"}


def take_thetas(fields: Fields, default: float, default_local: float | None) -> tuple[float, float | None]:
    """The base of RoPE, and that of sliding-window layers where the family has them (`default_local` given).

    transformers 4 writes `rope_theta` and `rope_local_base_freq`; transformers 5 `rope_parameters`, which for
    Gemma 3 holds one dictionary per kind of layer. Any scaling, and rotating a part of the head only, is
    refused.
    """
    theta = fields.take("rope_theta", default=default)
    local = fields.take("rope_local_base_freq", default=default_local) if default_local else None
    parameters = fields.take("rope_parameters", default={})
    fields.only("partial_rotary_factor", 1.0)
    theta = _theta(fields, "rope_scaling", fields.take("rope_scaling", default={}), theta)
    if not isinstance(parameters, dict):
        fields.refuse(f"rope_parameters = {parameters!r} (accepted: a dictionary)")
    elif default_local is None:
        theta = _theta(fields, "rope_parameters", parameters, theta)
    elif parameters:
        kinds = {"full_attention", "sliding_attention"}
        if parameters.keys() - kinds:
            fields.refuse(f"rope_parameters = {parameters!r} (accepted: {', '.join(sorted(kinds))})")
        theta = _theta(fields, "rope_parameters.full_attention", parameters.get("full_attention"), theta)
        local = _theta(
            fields, "rope_parameters.sliding_attention", parameters.get("sliding_attention"), local
        )
    return theta, local


def _theta(fields: Fields, name: str, parameters: object, default: object) -> object:
    """The base in one dictionary of `rope_parameters`, or in `rope_scaling`, which may hold it too."""
    _refuse_scaling(fields, name, parameters or {})
    return parameters.get("rope_theta", default) if isinstance(parameters, dict) else default


def _refuse_scaling(fields: Fields, name: str, parameters: object) -> None:
    """Note everything in `parameters` but plain RoPE."""
    if not isinstance(parameters, dict):
        fields.refuse(f"{name} = {parameters!r} (accepted: null)")
        return
    kind = parameters.get("rope_type", parameters.get("type", "default"))
    partial = parameters.get("partial_rotary_factor") or 1.0
    unknown = {key for key, value in parameters.items() if value is not None} - HARMLESS_IN_ROPE
    if kind != "default" or partial != 1.0 or unknown:
        fields.refuse(f"{name} = {parameters!r} (accepted: plain RoPE, rope_type 'default')")
