from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("experiments", "0005_authoring"),
    ]

    operations = [
        migrations.AlterField(
            model_name="connection",
            name="kind",
            field=models.CharField(
                choices=[
                    ("envoy", "Envoy fleet (admin interface)"),
                    ("kubernetes", "Kubernetes cluster"),
                    ("prometheus", "Prometheus"),
                    ("fake", "Rehearsal (nothing is touched)"),
                ],
                max_length=32,
            ),
        ),
    ]
