"""`medshot adapt`: adapt a learner to one task and write a model folder."""

from typing import Annotated

import typer

from medshot.cli.options import (
    EPISODES,
    LEARNER,
    SCHEMA,
    Channels,
    Cut,
    Dimensions,
    Encoder,
    ImageColumn,
    Images,
    JoinLabels,
    Json,
    Keep,
    Label,
    LabelTable,
    OneTask,
    Out,
    PatientColumn,
    Run,
    Seed,
    Size,
    note,
    parse_keep,
    print_json,
)


def adapt(
    data: OneTask,
    out: Out,
    run: Run = None,
    learner: Annotated[
        str | None,
        typer.Option(
            help="Name of a learner that needs no meta-training, instead of --from; see medshot learners. "
            "Default: auto, which chooses one.",
            rich_help_panel=LEARNER,
        ),
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(help="reference: METAL as published (with --learner metal).", rich_help_panel=LEARNER),
    ] = None,
    shots: Annotated[
        int | None,
        typer.Option(
            help="Labelled patients per class, chosen at random; a class with fewer gives all. Default: all.",
            rich_help_panel=EPISODES,
        ),
    ] = None,
    encoder: Encoder = None,
    size: Size = None,
    channels: Channels = None,
    dimensions: Dimensions = None,
    cut: Cut = None,
    images: Images = None,
    label: Label = "label",
    keep: Keep = None,
    image: ImageColumn = None,
    patient: PatientColumn = None,
    join_labels: JoinLabels = False,
    table: LabelTable = None,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Adapt a learner to a new task from a few labelled images and write a model folder.

    With --from, the learner takes the input that it was trained on; options under Images have no effect.

    Example: medshot adapt new_task/ --from run --shots 5 --out model
    """
    from medshot.cli.checking import AUTO, check_images, check_new, check_paths, check_shots, check_source

    kept = parse_keep(keep)
    named = run is not None or learner is not None
    learner = learner if named else AUTO
    check_source(run, learner, preset)
    check_images(encoder, size, channels, dimensions, cut, images)
    check_shots(shots)
    check_paths([data])
    check_new(out)
    if not named:
        note("No learner is named, so auto chooses one (as with --learner auto).")

    import numpy as np

    from medshot.cli.loading import images_of, input_spec, load_one, make_or_load, note_assumptions, shared_sentences
    from medshot.learners import FewShotClassifier
    from medshot.storage import read_json
    from medshot.tasks import draw_support
    from medshot.tasks.columns import DataOptions

    spec = input_spec(encoder, size, channels, dimensions, cut, images)
    options = DataOptions(label, kept, image, patient, join_labels, table)
    task = load_one(data, options, "adapt")
    made = make_or_load(run, learner, spec, task.images, preset=preset, seed=seed)
    samples = np.arange(len(task))
    if shots is not None:
        samples = np.sort(draw_support(task, shots=shots, rng=np.random.default_rng(seed)))
        for name, members in zip(task.classes, task.members, strict=True):
            if len(members) < shots:
                note(f"Class '{name}' has {len(members)} patients, fewer than {shots}; all of them are taken.")
    classifier = FewShotClassifier(made).fit(
        images_of(task, samples),
        [task.classes[label] for label in task.labels[samples]],
        groups=task.patients[samples].tolist(),
    )
    for sentence in shared_sentences(made, task):
        classifier.explanation_ = f"{classifier.explanation_} {sentence}".strip()
    classifier.save(out)
    note_assumptions(task.images)
    if classifier.explanation_:
        note(classifier.explanation_)
    if as_json:
        print_json({"schema": SCHEMA, **read_json(out / "model.json"), "out": str(out)})
    else:
        print(f"The model is in {out}. Next: medshot predict {out} IMAGES --out predictions.csv")
